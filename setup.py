"""Installation of clinical_t5x; supported: pip install -c constraints-3.11.txt -e . in a clone."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(
    r'__version__ = "(.+)"', (HERE / "clinical_t5x" / "__init__.py").read_text()
).group(1)

# jax and flax have no upper bound on purpose: Python 3.11 ends at jax 0.10.2 and flax 0.12.8, later
# Pythons go on. constraints-3.11.txt holds one set of versions that was tested together.
REQUIREMENTS = [
    "absl-py>=2.1",
    "etils[epath]>=1.9",
    "flax>=0.12.6",
    "gin-config>=0.5.0,<0.6",
    "google-crc32c>=1.6",  # seqio_cache_tasks writes TFRecords with it, undeclared
    "importlib_resources>=6.4",  # tensorflow-datasets imports it, undeclared
    "isal>=1.7",
    "jax>=0.10.0",
    "matplotlib>=3.9,<4",
    "mlcroissant>=1.0",  # the `tfds` command imports it, undeclared
    "numba>=0.61",
    "numpy>=2.0,<3",
    "optax>=0.2.6,<0.3",
    "orbax-checkpoint>=0.12.0,<0.13",
    "polars>=1.32,<3",  # categories are global from there on
    "pyarrow>=18",
    "rich>=13.9",
    "safetensors>=0.5",
    "scipy>=1.14",
    # 0.2.3 refuses the protobuf that apache-beam admits.
    "sentencepiece>=0.2.0,<0.2.3",
    "seqio>=0.0.20,<0.1",
    "tensorboard>=2.19",  # clu's writer imports it, undeclared
    "tensorflow>=2.19",
    "tensorflow-datasets>=4.9.9",
    "tensorflow-text>=2.19",
]

BEAM = ["apache-beam>=2.70,<3"]
BASELINES = ["scikit-learn>=1.5", "torch>=2.6", "transformers>=5.0,<6"]

EXTRAS = {
    "tpu": ["jax[tpu]>=0.10.0"],
    "gpu": ["jax[cuda12]>=0.10.0"],
    "baselines": BASELINES,
    "beam": BEAM,
    "notebooks": ["jupyterlab>=4.3", "ipykernel>=6.29"],
    "dev": [
        *BASELINES,
        *BEAM,
        "accelerate>=1.1",  # transformers.Trainer needs it: benchmarks/against_trainer.py
        "hypothesis>=6.120",
        "ipykernel>=6.29",
        "nbmake>=1.5",
        "pytest>=8.3",
        "pytest-xdist>=3.6",
        "ruff>=0.12",
    ],
}

setup(
    name="clinical_t5x",
    version=VERSION,
    description="Clinical T5 models in JAX: from a PhysioNet download to scored models",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.14",
    # t5x/ holds Google T5X's names and is never installed: it serves a clone (see docs/gin.md).
    packages=find_packages(include=["clinical_t5x*", "tasks*"]),
    package_data={"clinical_t5x": ["**/*.css", "**/*.html", "**/*.js"]},
    install_requires=REQUIREMENTS,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["clinical-t5x=clinical_t5x.cli:main"]},
    classifiers=[
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
