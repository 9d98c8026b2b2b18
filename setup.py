"""What a wheel holds: the package, with the page and the API (the folder `app`) inside it as `tts_meta.app`.

A package called `app` of its own would take that name from everything else that is installed. Recipes and configs, which
train and measure, are used from a checkout.
"""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["tts_meta*"]), "tts_meta.app"], package_dir={"tts_meta.app": "app"})
