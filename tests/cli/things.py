"""The objects of bad commands: runs of each job, good files and bad ones."""

import os

import numpy as np


def make_files(place):
    """Files, good and bad, and folders in a place of their own: paths by name."""
    things = {"missing": place / "missing", "folder": place / "folder", "bad": place / "bad"}
    for folder in ("folder", "bad", "full"):
        (place / folder).mkdir()
    (place / "full" / "thesis.txt").write_text("ten years of work")
    for ending in ("", ".csv", ".csv.gz", ".parquet", ".npy", ".npz", ".py"):
        if ending:
            (place / f"folder{ending}").mkdir()
        os.mkfifo(place / f"fifo{ending}")
        (place / f"empty{ending}").touch()
        (place / f"junk{ending}").write_bytes(bytes(range(256)) * 40)
        (place / f"loop{ending}").symlink_to(place / f"loop{ending}")
        (place / f"dangling{ending}").symlink_to(place / "nowhere")
    (place / "text").write_text("a few words\n")
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 2))
    np.savetxt(place / "data.csv", rows, delimiter=",", header="a,b", comments="")
    np.save(place / "images.npy", (rng.random((12, 4, 4)) > 0.5).astype(np.uint8))
    _bad_tables(place / "bad", rows)
    names = ("full", "fifo", "empty", "junk", "loop", "dangling", "text")
    things |= {name: place / name for name in names}
    things |= {"csv": place / "data.csv", "images": place / "images.npy"}
    return {**{name: str(path) for name, path in things.items()}, "long": "n" * 300, "new": "new"}


def _bad_tables(place, rows):
    texts = {
        "header.csv": "a,b\n",
        "ragged.csv": "a,b\n1,2\n1,2,3\n4,5\n",
        "words.csv": "a,b\n1,two\n3,four\n",
        "one_row.csv": "a,b\n1,2\n",
        "nan.csv": "a,b\n1,2\n3,nan\n" + "5,6\n" * 20,
        "infinite.csv": "a,b\n1,2\n3,inf\n" + "5,6\n" * 20,
        "one_column_words.csv": "one\ntwo\nthree\n",
        "nul.csv": "a,b\n1,2\x00\n3,4\n",
        "same_names.csv": "a,a\n1,2\n3,4\n5,7\n6,5\n",
        "data.txt": "a,b\n1,2\n3,4\n",
        "data.xlsx": "PK",
        "text.parquet": "a,b\n1,2\n",
    }
    for name, text in texts.items():
        (place / name).write_text(text)
    arrays = {
        "scalar.npy": np.array(1.0),
        "cube.npy": np.zeros((2, 2, 2, 2, 2)),
        "complex.npy": np.ones((5, 2), complex),
        "words.npy": np.array([["a", "b"], ["c", "d"]]),
        "no_rows.npy": np.zeros((0, 2)),
        "no_columns.npy": np.zeros((5, 0)),
    }
    for name, array in arrays.items():
        np.save(place / name, array)
    np.save(place / "object.npy", np.array([[{}], [1]], object), allow_pickle=True)
    whole = (place / "scalar.npy").read_bytes()
    claims = repr({"descr": "<f8", "fortran_order": False, "shape": (10, 10**12)})
    for name, header in (("claims.npy", claims), ("header.npy", "{'descr': (((")):
        text = header.encode().ljust(117) + b"\n"
        (place / name).write_bytes(whole[:8] + len(text).to_bytes(2, "little") + text)
    np.savez(place / "truncated.npz", rows)
    content = (place / "truncated.npz").read_bytes()
    (place / "truncated.npz").write_bytes(content[: len(content) // 2])
    np.save(place / "truncated.npy", rows)
    content = (place / "truncated.npy").read_bytes()
    (place / "truncated.npy").write_bytes(content[: len(content) // 2])
    np.savez(place / "empty.npz")
