# ruff: noqa: E501 - a program's lines are as long as XLA makes them
import pytest

from clinical_t5x.plan.collectives import Collective, read_collectives

# A program as XLA prints it: a loop of 24 turns around a gather, and a sum of all devices after it.
PROGRAM = """HloModule jit_train_step, is_scheduled=true

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  ROOT %sum = f32[] add(%a, %a)
}

%body (state: (s32[], bf16[64,128])) -> (s32[], bf16[64,128]) {
  %state = (s32[], bf16[64,128]{1,0}) parameter(0)
  %whole = bf16[64,1024]{1,0:T(8,128)} all-gather(%part), channel_id=1, replica_groups=[1,8]<=[8], dimensions={1}
  ROOT %next = (s32[], bf16[64,128]{1,0}) tuple(%i, %part)
}

%condition (state: (s32[], bf16[64,128])) -> pred[] {
  ROOT %less = pred[] compare(%i, %n), direction=LT
}

%wrapped (x: f32[16]) -> f32[128] {
  ROOT %gathered = f32[128]{0} all-gather(%x), channel_id=7, replica_groups={{0,1},{2,3},{4,5},{6,7}}, dimensions={0}
}

ENTRY %main (p0: f32[1024]) -> f32[1024] {
  %loop = (s32[], bf16[64,128]{1,0}) while(%start), condition=%condition, body=%body, backend_config={"known_trip_count":{"n":"24"}}
  %asynchronous = ((f32[16]), f32[128]) async-start(%x), calls=%wrapped
  %begun = (f32[64]{0}, f32[512]{0}) all-gather-start(%y), replica_groups=[2,4]<=[8], dimensions={0}
  %done = f32[512]{0} all-gather-done(%begun)
  %moved = f32[256]{0} collective-permute(%z), source_target_pairs={{0,1},{1,0}}
  ROOT %total = f32[1024]{0} all-reduce(%p0), channel_id=2, replica_groups={}, to_apply=%add
}
"""


def test_a_loops_collectives_count_as_often_as_it_turns():
    found = {one.kind: one for one in read_collectives(PROGRAM)}
    assert found["all-reduce"] == Collective("all-reduce", 1, 1, 4096)
    assert found["collective-permute"] == Collective("collective-permute", 1, 1, 1024)
    # in the loop, in the wrapped computation, and one that is started and done
    gathered = 24 * 64 * 1024 * 2 + 128 * 4 + 512 * 4
    assert found["all-gather"] == Collective("all-gather", 3, 26, gathered)


def test_most_bytes_come_first_and_done_is_no_collective():
    kinds = [one.kind for one in read_collectives(PROGRAM)]
    assert kinds == ["all-gather", "all-reduce", "collective-permute"]


def test_collectives_across_slices_are_told_from_those_within():
    found = {one.kind: one.across_slices for one in read_collectives(PROGRAM, devices_per_slice=4)}
    # of the gathers only the loop's joins all eight devices
    assert found == {"all-gather": 24, "all-reduce": 1, "collective-permute": 0}


# As a TPU's compiler prints it: one gather spread over three computations of a loop's body.
OVERLAPPED = """
%start (x: bf16[1,32]) -> bf16[1,128] {
  ROOT %g.1 = bf16[1,128]{1,0} all-gather(%x), channel_id=9, dimensions={1}
}

%work (x: bf16[1,32]) -> bf16[1,128] {
  %g.2 = bf16[1,128]{1,0} all-gather(%x), channel_id=9, dimensions={1}
}

%end (x: bf16[1,32]) -> bf16[1,128] {
  %g.3 = bf16[1,128]{1,0} all-gather(%x), channel_id=9, dimensions={1}
}

%condition.1 (state: (s32[], bf16[1,32])) -> pred[] {
  %limit = s32[]{:T(128)} constant(12)
  ROOT %lt = pred[]{:T(512)} compare(%counter, %limit), direction=LT
}

%body.1 (state: (s32[], bf16[1,32])) -> (s32[], bf16[1,32]) {
  %a = bf16[1,128]{1,0} fusion(%p), kind=kCustom, calls=%start
  %b = bf16[1,128]{1,0} fusion(%p), kind=kCustom, calls=%work
  %c = bf16[1,128]{1,0} fusion(%p), kind=kCustom, calls=%end
}

ENTRY %main (p0: f32[8]) -> f32[8] {
  %loop = (s32[], bf16[1,32]{1,0}) while(%start), condition=%condition.1, body=%body.1, metadata={}
}
"""


def test_a_gather_beside_other_work_is_one_and_its_loop_turns_as_its_condition_says():
    assert read_collectives(OVERLAPPED) == [Collective("all-gather", 1, 12, 12 * 128 * 2)]


def test_an_all_reduce_of_which_each_device_keeps_a_part_is_a_reduce_scatter():
    program = """
%all-reduce-scatter.1 (input.1: f32[4096,128]) -> f32[4096,32] {
  %all-reduce.1 = f32[4096,128]{0,1:T(8,128)} all-reduce(%input.1), channel_id=237, replica_groups={{0,1,2,3}}
  ROOT %part = f32[4096,32]{0,1} dynamic-slice(%all-reduce.1, %i, %j)
}

ENTRY %main (p0: f32[8]) -> f32[8] {
  %mine = f32[4096,32]{0,1} fusion(%gradient), kind=kCustom, calls=%all-reduce-scatter.1
}
"""
    assert read_collectives(program) == [Collective("reduce-scatter", 1, 1, 4096 * 32 * 4)]


def test_what_a_tpus_hosts_send_between_slices_is_a_collective_too():
    program = """
ENTRY %main (p0: f32[8]) -> f32[8] {
  %send.1 = (f32[16,8,128]{2,1,0:T(8,128)}, u32[], token[]) send(%part, %token), channel_id=39, is_host_transfer=true, frontend_attributes={_xla_host_transfer_handler_name="xla_megascale_runtime",_xla_megascale_reduce_operation="SUM",_xla_megascale_transfer_type="ALL_REDUCE"}
  %recv.1 = (f32[16,8,128]{2,1,0:T(8,128)}, u32[], token[]) recv(%token), channel_id=38, is_host_transfer=true, frontend_attributes={_xla_megascale_transfer_type="ALL_REDUCE"}
}
"""
    (found,) = read_collectives(program, devices_per_slice=4)
    assert found == Collective("all-reduce between slices", 1, 1, 16 * 8 * 128 * 4, 1)


@pytest.mark.parametrize(
    ("groups", "crosses"),
    [
        ("{{0,1,2,3},{4,5,6,7}}", False),
        ("{{0,4},{1,5},{2,6},{3,7}}", True),
        ("[2,4]<=[8]", False),
        ("[4,2]<=[2,4]T(1,0)", True),
        ("mesh['a'=2,'b'=4] {'b'}", False),
        ("mesh['a'=2,'b'=4] {'a'}", True),
        ("mesh['a'=4,'b'=2], device_ids=([2,4]T(1,0)) {'b'}", True),
        ("mesh['a'=4,'b'=2], device_ids=([2,2,2]T(0,2,1)) {'b'}", False),
        ("mesh['a'=2,'b'=4] {'b':(1)2}", True),  # part of an axis: unknown counts as crossing
    ],
)
def test_every_way_to_write_groups_is_read(groups, crosses):
    program = (
        "ENTRY %main (p0: f32[8]) -> f32[8] {\n"
        f"  ROOT %x = f32[8]{{0}} all-reduce(%p0), channel_id=1, replica_groups={groups}, x=y\n}}\n"
    )
    (found,) = read_collectives(program, devices_per_slice=4)
    assert found.across_slices == int(crosses)


def test_a_program_without_collectives():
    assert (
        read_collectives("ENTRY %main (p0: f32[8]) -> f32[8] {\n  ROOT %x = f32[8]{0} add(%p0)\n}")
        == []
    )
