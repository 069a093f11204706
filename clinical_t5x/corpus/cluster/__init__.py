"""Preparation up to exact de-duplication on many machines, as an Apache Beam pipeline.

`job` is the pipeline, `fates` its rules, and `running` hands it to a runner; these three need
apache-beam. `output` is the directory that all machines write to, `summary` what a job says of its
rows, `takeover` what the local engine does with the output afterwards.
"""
