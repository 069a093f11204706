"""What each task says: SeqIO registrations, one module a task, declarations only.

Importing a module registers its default task; its `register` function registers the same task
under another name, for another vocabulary or another data set, and returns the name, so that a gin
file can write `MIXTURE_OR_TASK_NAME = @tasks.mednli.register()`. This package itself imports
nothing, so that naming a task's module costs nothing.
"""
