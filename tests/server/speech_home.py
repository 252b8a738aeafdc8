"""A home whose models are the tiny checkpoints of the repository, beside those that are installed."""
import shutil

from conftest import SOURCE, installed_home

TINY = SOURCE / "tests/fixtures/tiny"
MODELS = {"tiny-vits": "vits-sdp-multispeaker", "tiny-yourtts": "yourtts", "tiny-bark": "bark", "tiny-speecht5": "speecht5",
          "tiny-hifigan": "hifigan-coqui"}


def make_speech_home(path, alone=False):
    """alone: without the installed ones."""
    (path / "models").mkdir(parents=True)
    for name, fixture in MODELS.items():
        shutil.copytree(TINY / fixture, path / "models" / name)
    installed = installed_home() / "models"
    for model in installed.iterdir() if installed.exists() and not alone else []:
        (path / "models" / model.name).symlink_to(model)
    (path / "packed").mkdir()
    packed = installed_home() / "packed"
    for file in packed.iterdir() if packed.exists() else []:
        (path / "packed" / file.name).symlink_to(file)
    return path
