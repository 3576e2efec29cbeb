"""The folder of a Gradio demo of a pushed model, for a Space."""

from __future__ import annotations

from pathlib import Path
from string import Template

import yaml

from v2skit.hub.address import Address
from v2skit.models.pack_header import printable_lines, read_header
from v2skit.publishing.card import extras_of, licence_id
from v2skit.publishing.folder import GENERATED, README, check_generated
from v2skit.system.atomic import atomic_write
from v2skit.system.extras import APART
from v2skit.version import __version__

GRADIO = "6.31.0"
"""The version that the demo was tested with."""

_APP = Template('''\
"""Demo of $address: speech for a silent video of a talking face.

$generated
"""

from pathlib import Path

import gradio

import v2skit
from v2skit.errors import UserError
from v2skit.media.synthesised import write_speech

model = v2skit.load("$address")


def synthesise(video, voice):
    """The path of a WAV file of the speech; its metadata says that it is synthesised."""
    if video is None:
        raise gradio.Error("There is no video yet: drop one, or record one with the webcam.")
    speech = Path(video).with_suffix(f".{voice}.wav")
    try:
        write_speech(speech, model.synthesise_pieces(video, voice=voice), model.sample_rate)
    except UserError as error:
        raise gradio.Error(str(error)) from error
    return str(speech)


demo = gradio.Interface(
    synthesise,
    inputs=[
        gradio.Video(label="Video of a talking face; its sound is not used"),
        gradio.Dropdown(model.voices, value=model.default_voice, label="Voice"),
    ],
    outputs=gradio.Audio(label="Speech", type="filepath"),
    title=model.card.name,
    description=model.card.made_for and f"Made for: {model.card.made_for}.",
    article=model.card.limits,
    flagging_mode="never",
    delete_cache=(600, 3600),  # every 10 minutes, what is older than an hour
)

if __name__ == "__main__":
    demo.launch()
''')


def write_demo(pack: Path, address: Address, folder: Path) -> list[Path]:
    """Write ``app.py``, ``requirements.txt`` and ``README.md`` of a Space.

    Args:
        pack: the file that is, or will be, pushed.
        address: from where the demo loads it.
        folder: new, or with generated files of a demo only, which are replaced.

    Returns:
        the files.

    Raises:
        UserError: it is no pack, or the folder has other files.
    """
    card, config = read_header(pack).card, read_header(pack).meta["model"].config
    title = printable_lines(card.name or pack.stem)
    space = {
        "title": title, "emoji": "👄", "colorFrom": "indigo", "colorTo": "purple", "sdk": "gradio",
        "sdk_version": GRADIO, "app_file": "app.py", "models": [address.repo],
        **({"license": licence} if (licence := licence_id(card.licence)) else {}),
    }  # fmt: skip
    header = yaml.safe_dump(space, sort_keys=False, allow_unicode=True)
    text = (
        f"Speech for silent videos of a talking face, by [{title}](https://huggingface.co/{address.repo}) and v2skit."
    )
    contents = {
        "app.py": _APP.substitute(address=address, generated=GENERATED),
        "requirements.txt": "\n".join([f"# {GENERATED}", *_requirements(config)]) + "\n",
        README: f"---\n{header}---\n\n<!-- {GENERATED} -->\n\n{text}\n",
    }
    check_generated(folder, contents)
    for name, content in contents.items():
        with atomic_write(folder / name) as part:
            part.write_text(content, encoding="utf-8")
    return [folder / name for name in contents]


def _requirements(config: dict) -> list[str]:
    """What pip installs for the demo, one line each: v2skit with its extras, and what these lack, here together with
    what that declares, since a Space installs all lines in one way."""
    extras = extras_of(config)
    names = ",".join(extras).replace("_", "-")
    return [f"v2skit[{names}]=={__version__}", *(APART[extra].split()[-1] for extra in extras if extra in APART)]
