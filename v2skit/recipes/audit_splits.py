"""The part of an audit that compares the splits of an experiment."""

from __future__ import annotations

from v2skit.data.data_dir import is_prepared
from v2skit.preparation.splits import contents, shared
from v2skit.recipes.findings import Audit
from v2skit.recipes.recipe import Recipe

_KINDS = {"audio": "files", "video": "files", "sentence": "sentences"}
_NOUNS = {"audio": "recordings (audio)", "video": "videos", "sentence": "sentences"}


def audit_splits(recipe: Recipe, audit: Audit) -> None:
    """Compare the data that are held out with those that are trained on, and the test set with those of validation.

    Sentences of a corpus with a grammar recur by design: their number is a fact. Speakers are a finding where the
    corpus calls its split unseen.

    Raises:
        UserError: a data directory is incomplete, or a file in it can't be read.
    """
    data = recipe.config.data
    names = dict.fromkeys([data.test, data.valid, data.pretrain_valid, data.train, *data.pretrain])
    found = {name: contents(name, recipe.data(name)) for name in names if is_prepared(recipe.data(name))}
    lacking = [name for name in names if name not in found]
    if lacking:
        audit.checked.append(f"not prepared here and not compared: {', '.join(lacking)}")
    grammar = any(corpus.grammar() for corpus in recipe.build_corpora())
    training = (data.train, *data.pretrain)
    wanted = [(data.test, other) for other in (*training, data.valid, data.pretrain_valid)]
    wanted += [(data.valid, name) for name in training]
    for held_out, other in dict.fromkeys(wanted):
        if held_out == other:
            audit.find("files", f"{held_out} is both trained on or chosen by and held out; give data directories apart")
            continue
        if held_out not in found or other not in found:
            continue
        ours, theirs, clean = found[held_out], found[other], True
        for what, count in shared(ours, theirs):
            text = f"{_NOUNS[what]} of {held_out} are also in {other}: {count}"
            if what == "sentence" and grammar:
                audit.checked.append(f"{text}; the corpus has a grammar, whose sentences recur")
            else:
                clean = clean and what == "sentence"
                audit.find(_KINDS[what], f"{text}; leave them out of one of the two and prepare both again")
        if clean:
            audit.checked.append(f"{held_out} and {other}: no audio or video file is in both, by content")
        speakers = sorted(ours.speakers & theirs.speakers)
        count = f"{len(speakers)} of {len(ours.speakers)} speakers of {held_out} are in {other}"
        if speakers and ours.unseen:
            audit.find("speakers", f"{count}, e.g. {speakers[0]}, and its split is of unseen speakers; split them anew")
        else:
            audit.checked.append(count)
