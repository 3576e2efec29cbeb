"""A vocoder is tuned on segments of what its predictor predicts for whole utterances, which is computed once."""

import json

import numpy as np
import pytest
import torch

from tests.conftest import ROOT, make_d_vectors, stages, vocoder_config, write
from v2skit.data.augment import centre_crop, normalise
from v2skit.data.batch import Inputs
from v2skit.data.data_dir import read_manifest
from v2skit.data.index import open_index
from v2skit.data.streams import StoredStream
from v2skit.media.crops import read_crops
from v2skit.models.model import Vocoder
from v2skit.models.speakers import stored_vectors
from v2skit.synthesis.synthesiser import load


@pytest.fixture
def batches(monkeypatch) -> list:
    """The batches that a vocoder is given, in training and validation."""
    seen, forward = [], Vocoder.training_output

    def training_output(self, batch, *args, **options):
        seen.append(batch)
        return forward(self, batch, *args, **options)

    monkeypatch.setattr(Vocoder, "training_output", training_output)
    return seen


def test_segments_are_cut_from_predictions_for_whole_utterances(mel_run, recipe_folder, tiny, tmp_path, batches):
    config = vocoder_config(tmp_path, tiny, predictor=str(mel_run))
    assert stages(recipe_folder, config, "pretrain") == 0
    batches.clear()
    assert stages(recipe_folder, config, "finetune") == 0
    model = load(mel_run, "cpu").model
    whole = {}
    for split in ("train", "valid"):
        index, reader = open_index(recipe_folder / "data" / split), model.speaker.reader(recipe_folder / "data" / split)
        (folder,) = (recipe_folder / "data" / split).glob("targets/predicted_mel-*")
        stored = StoredStream(folder)
        for number, u in enumerate(index):
            crops = torch.from_numpy(normalise(centre_crop(read_crops(u.video, 0, u.frames), 88)))[None]
            speaker = torch.from_numpy(np.asarray(reader(u.id, u.speaker)))[None]

            def predicted(first, last, crops=crops, speaker=speaker):
                mask = torch.ones(1, last - first, dtype=torch.bool)
                with torch.no_grad():
                    return model(Inputs({"video": crops[:, first:last]}, mask, speaker)).mel[0]

            mel = predicted(0, u.frames)
            assert torch.allclose(torch.from_numpy(stored.read(number, 0, u.frames, True)), mel, atol=1e-5)
            assert (predicted(2, 8) - mel[8:32]).abs().max() > 1e-2  # without its context, a segment is another
            whole[u.id] = mel
    assert {id for batch in batches for id in batch.ids} == whole.keys()
    for batch in batches:
        assert batch.video is None
        for row, utterance in enumerate(batch.ids):
            count = int(batch.mask[row].sum()) * 4
            places = whole[utterance].unfold(0, count, 4).transpose(1, 2)  # (P, F, M)
            errors = (places - batch.extras["predicted_mel"][row, :count]).abs().amax((1, 2))
            assert errors.min() < 1e-5


def test_predictions_are_computed_once_for_each_predictor(mel_run, recipe_folder, tiny, tmp_path):
    config = vocoder_config(tmp_path, tiny, predictor=str(mel_run))
    assert stages(recipe_folder, config, "pretrain", "finetune") == 0
    (values,) = (recipe_folder / "data/train").glob("targets/predicted_mel-*/values.bin")
    before = values.stat()
    assert stages(recipe_folder, config, "finetune", more=("--force",)) == 0
    assert values.stat() == before
    more = ("scratch=false", "finetune.learning_rate=0.01")
    assert stages(recipe_folder, tiny, "finetune", sets=more, more=("--force",)) == 0  # another predictor
    assert stages(recipe_folder, config, "finetune", more=("--force",)) == 0
    assert len(list((recipe_folder / "data/train").glob("targets/predicted_mel-*"))) == 2


def test_predictions_are_of_the_d_vectors_and_the_inference_arguments(recipe_folder, tiny, tmp_path):
    for folder in (recipe_folder / "data").iterdir():
        make_d_vectors(folder)
    networks = {"speaker": {"type": "d_vector"}, "decoder": {"dim": 8, "blocks": 1, "steps": 2}}
    flow = write(tmp_path / "flow.yaml", tiny, [str(ROOT / "egs/conf/flow_mel.yaml")], networks=networks, scratch=False)
    assert stages(recipe_folder, flow, "pretrain", "transfer", "finetune") == 0
    predictor, train = recipe_folder / "exp/flow/finetune", recipe_folder / "data/train"
    config = vocoder_config(tmp_path, tiny, predictor=str(predictor))
    assert stages(recipe_folder, config, "pretrain", "finetune") == 0

    def count() -> int:
        assert stages(recipe_folder, config, "finetune", more=("--force",)) == 0
        return len(list(train.glob("targets/predicted_mel-*")))

    assert count() == 1
    utterances = sorted(read_manifest(train), key=lambda u: u.id)
    vectors = np.eye(len(utterances), stored_vectors.DIM)
    clips = stored_vectors.clips_of_speakers(utterances, len(utterances))
    stored_vectors.write(train, clips, ((u.id, vector) for u, vector in zip(utterances, vectors, strict=True)))
    assert count() == 2
    for path in predictor.glob("*/meta.json"):
        meta = json.loads(path.read_text())
        meta["config"]["networks"]["decoder"]["steps"] = 3
        path.write_text(json.dumps(meta))
    assert count() == 3
