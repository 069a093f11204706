"""What a training run needs, found before hardware is rented.

`topology` reads names such as v5e:4x4, `devices` finds a compiler for them, `run` builds the very
train step from gin files without data, `compilation` compiles it, `arithmetic` estimates what it
cannot, `search` chooses topology, mesh and remat policy, `cost` counts time and money, `report`
shows all of it.
"""
