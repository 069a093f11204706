"""The order of the tests: files that take longest come first.

Two workers take file after file (`--dist loadfile`). A long file that came last would keep one of
them busy while the other has nothing to do.
"""


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("long_file") is None)
