"""From a command line to a configured call: flags, gin files, checks before anything heavy.

- flags: T5X's flags, and `--gin.NAME=VALUE` rewritten to bindings
- search_path: where gin files and their includes are found
- gin_reading: gin files as statements with their places, nothing imported
- symbols: what Python names mean, read from source with ast, nothing imported
- static_check: mistakes in a configuration, found in a fraction of a second
- preflight: data sets and vocabularies that a run needs and that are not there
- facade: the package `t5x` of this project, importable wherever a command runs
- program: `run_program`, one configured call of train, evaluate or infer
"""
