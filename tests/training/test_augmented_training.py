"""Training on clips of changed tempo with masked features: as long as the clips, and repeatable."""

import json

from tests.training.trainers import trainer_of
from v2skit.config.load import load_config


def losses(folder, data, config) -> list[float]:
    trainer_of(config, data, folder).train()
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [row["l1"] for row in rows if row["kind"] == "train"]


def test_training_with_tempos_and_masks_is_repeatable(recipe_folder, tiny, tmp_path):
    sets = ["finetune.steps=3", "finetune.precision=float32"]
    tempos, masks = "augmentation.tempos=[0.8, 1.25]", "augmentation.feature_time_share=0.3"
    data = recipe_folder / "data"
    configs = {"both": [tempos, masks], "again": [tempos, masks], "tempos": [tempos], "masks": [masks]}
    found = {name: losses(tmp_path / name, data, load_config(tiny, [*sets, *more])) for name, more in configs.items()}
    assert found["both"] == found["again"] and len(found["both"]) == 3
    assert len({tuple(values) for values in found.values()}) == 3
