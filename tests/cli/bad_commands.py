"""Commands that must be refused: in one sentence, with nothing left behind.

In words: `{name}` stands for a thing of `things` in `test_bad_commands.py` (runs of each job, good
files and bad ones), other braces are doubled.
"""

import itertools

NOT_WHOLE = ["1.5", "two", "", "nan", "inf", "1e3", "0x10", "--", "1,5", "٢½", "None", " ", "1 2"]
NOT_NUMBERS = ["two", "", "1,5", "--", "0x1p-3", "None", "1e", " "]
BEYOND = [str(10**12), str(10**20), "9" * 400]
NO_PATHS = [
    *("{missing}", "{folder}", "{fifo}", "{empty}", "{junk}", "{loop}", "{long}", "{text}"),
    *("", " ", "-", "ü/ß.npy", "a\nb", "/dev/null", "/proc/self/mem", "{dangling}", "."),
]
TABLES = [
    f"{{{what}}}{ending}"
    for what in ("missing", "folder", "fifo", "empty", "junk", "loop", "long", "dangling")
    for ending in (".csv", ".csv.gz", ".parquet", ".npy", ".npz")
]
CONTENTS = [
    *("header.csv", "ragged.csv", "words.csv", "one_row.csv", "nan.csv", "one_column_words.csv"),
    *("nul.csv", "object.npy", "scalar.npy", "cube.npy", "complex.npy", "words.npy"),
    *("no_rows.npy", "no_columns.npy", "claims.npy", "header.npy", "truncated.npy", "empty.npz"),
    *("truncated.npz", "text.parquet", "infinite.csv", "same_names.csv", "data.txt", "data.xlsx"),
]


def _product(*columns):
    return [[word for words in row for word in words] for row in itertools.product(*columns)]


def _options(names, values):
    return _product([[name] for name in names], [[value] for value in values])


INFER = [
    *[["infer", target] for target in NO_PATHS],
    *[["infer", target] for target in (
        "nonsense", "two_mode", "Two_Modes", "u5", "u1 ", "u1,u2", "u1:", ":f", ":", "::", "*",
        "u" * 5000,
        "{density}", "{run}", "{csv}", "{densities}", "{densities}:", "{densities}:nowhere",
        "{densities}:number", "{densities}:bent", "{densities}:bent:bent", "{missing}.py:f",
        "{folder}:f", "{empty}.py:f", "{junk}.py:f", "{fifo}.py:f", "{missing}.stan", "--", "-x",
        "\u202eu1", "u1\0",
    )],
    *[["infer", "{densities}:" + name, "--dim", "2"] for name in (
        "nan", "nowhere", "infinite", "vector", "raises", "raises_key_error", "stopped",
        "two_values", "nothing", "wants_more", "bend", "number", "numpy_only", "branches",
    )],
    *[["infer", "u1", *words] for words in _options(
        ("--steps", "--batch", "--restarts", "--layers", "--hidden", "--dim", "--seed"),
        NOT_WHOLE,
    )],
    *[["infer", "u1", "--flow", "planar", *words] for words in _options(
        ("--steps", "--batch", "--restarts", "--layers"), ["0", "-1", *BEYOND])],
    *[["infer", "standard_normal", *words] for words in _options(
        ("--dim",), ["0", "-1", str(10**9), *BEYOND])],
    *[["infer", "u1", "--flow", "real_nvp", *words] for words in _options(
        ("--hidden",), ["0", "-1", *BEYOND])],
    *[["infer", "u1", *words] for words in _options(("--seed",), ["-1", *BEYOND[1:]])],
    *[["infer", "u1", *words] for words in _options(
        ("--lr",), [*NOT_NUMBERS, "0", "-1", "nan", "inf", "-inf", "1e400"])],
    *[["infer", "u1", *words] for words in (
        ["--flow", ""], ["--flow", "plannar"], ["--flow", "PLANAR"], ["--flow", "planar,maf"],
        ["--flow", "planar", "--hidden", "4"], ["--flow", "x" * 4000], ["--flow"], ["--refine"],
        ["--refine", "hmc"], ["--refine", ""], ["--data", "{csv}"], ["--data", "{missing}"],
        ["--out"], ["--out", ""], ["--out", "{run}"], ["--out", "{full}"], ["--out", "{csv}"],
        ["--out", "{csv}/x"], ["--out", "{long}"], ["--out", "/proc/x"], ["--out", "a\0b"],
        ["--out", "{loop}"], ["--dim", "3"], ["--nonsense"], ["--step", "3", "4"], ["u2"],
        ["--no-reports"], ["--json=1"], ["--x64=yes"], ["-n", "3"], ["--layers", "--steps"],
    )],
    ["infer"], ["infer", "--json"], ["infer", "--out", "x"],
]  # fmt: skip

ESTIMATE = [
    *[["estimate", data] for data in NO_PATHS],
    *[["estimate", data] for data in TABLES],
    *[["estimate", f"{{bad}}/{name}"] for name in CONTENTS],
    *[["estimate", "{csv}", *words] for words in _options(
        ("--steps", "--batch", "--layers", "--members", "--seed"), NOT_WHOLE)],
    *[["estimate", "{csv}", *words] for words in _options(
        ("--steps", "--batch", "--layers", "--members"), ["0", "-1"])],
    *[["estimate", "{csv}", *words] for words in _options(("--steps",), BEYOND)],
    *[["estimate", "{csv}", *words] for words in _options(("--seed",), ["-1", *BEYOND])],
    *[["estimate", "{csv}", *words] for words in _options(
        ("--lr", "--noise", "--test-fraction"), NOT_NUMBERS)],
    *[["estimate", "{csv}", *words] for words in _options(
        ("--lr",), ["0", "-1", "nan", "inf"])],
    *[["estimate", "{csv}", *words] for words in _options(
        ("--test-fraction",), ["0", "1", "-0.1", "1.5", "nan", "inf", "-inf", "0.999"])],
    *[["estimate", "{csv}", *words] for words in _options(
        ("--noise",), ["-1", "nan", "inf"])],
    *[["estimate", "{csv}", *words] for words in (
        ["--columns", "c"], ["--columns", "a,c"], ["--columns", "A"], ["--context", "c"],
        ["--columns", "a", "--context", "a"], ["--context", "a,b"], ["--columns", "a,a"],
        ["--columns", "é"], ["--columns", "x" * 5000], ["--flow", "nonsense"], ["--flow", ""],
        ["--flow", "planar", "--layers", "x"], ["--marginal", "a"], ["--marginal", "a="],
        ["--marginal", "c=positive"], ["--marginal", "a=nonsense"], ["--marginal", "=positive"],
        ["--marginal", "a=interval"], ["--marginal", "a=interval,1,0"], ["--marginal", ""],
        ["--marginal", "a=interval,x,y"], ["--marginal", "a=interval,0,nan"],
        ["--marginal", "a=positive"], ["--discrete", "c"], ["--discrete", "auto,a,c"],
        ["--out"], ["--out", "{run}"], ["--out", "{csv}"], ["--out", "{full}"], ["--nonsense"],
        ["{csv}"], ["--columns"], ["--x64=1"], ["--drop-missing=1"],
    )],
    ["estimate"], ["estimate", "--json"],
]  # fmt: skip

FIT_VAE = [
    *[["fit-vae", data] for data in NO_PATHS],
    *[["fit-vae", data] for data in TABLES if data.endswith((".npy", ".npz"))],
    *[["fit-vae", f"{{bad}}/{name}"] for name in CONTENTS if name.endswith((".npy", ".npz"))],
    *[["fit-vae", "{images}", *words] for words in _options(
        ("--steps", "--batch", "--layers", "--draws", "--test-images", "--draws-all",
         "--inference-gap", "--seed", "--latent", "--hidden"),
        ["1.5", "two", "nan", "inf"])],
    *[["fit-vae", "{images}", *words] for words in _options(
        ("--steps", "--batch", "--layers", "--draws", "--test-images", "--draws-all",
         "--inference-gap", "--latent", "--hidden"),
        ["0", "-1"])],
    *[["fit-vae", "{images}", *words] for words in _options(
        ("--lr", "--drop", "--augment"), ["two", "nan", "inf", "-1"])],
    *[["fit-vae", "{images}", *words] for words in _options(
        ("--steps", "--latent", "--hidden"), [str(10**12), str(10**20)])],
    ["fit-vae", "{images}", "--seed", str(10**20)],
    *[["fit-vae", "{images}", *words] for words in (
        ["--binarisation", "nonsense"], ["--likelihood", "poisson"], ["--flow", "nonsense"],
        ["--prior", "nonsense"], ["--network", "transformer"], ["--nonlinearity", "nonsense"],
        ["--latent", "20,,10"], ["--latent", ","], ["--hidden", ""], ["--hidden", "a,b"],
        ["--draws-all", "3"], ["--draws-all", "6000", "--test-images", "5"], ["--out", "{run}"],
        ["--nonsense"],
        ["--flow", "none", "--layers", "3"], ["--drop", "2"], ["--augment", "2"],
    )],
    ["fit-vae"], ["fit-vae", "mnits"], ["fit-vae", "mnist.csv"],
]  # fmt: skip

READ = [
    *[["resume", run] for run in NO_PATHS],
    *[["report", run] for run in NO_PATHS],
    *[["sample", run, "-n", "3", "-o", "{new}.csv"] for run in NO_PATHS],
    *[["score", run, "{csv}", "-o", "{new}.csv"] for run in NO_PATHS],
    *[["sample", "{run}", *words, "-o", "{new}.csv"] for words in _options(
        ("-n", "--seed"), NOT_WHOLE)],
    *[["sample", run, "-n", count, "-o", "{new}.csv"]
      for run in ("{run}", "{density}", "{latent}")
      for count in ("0", "-1", str(3 * 10**12), str(10**20))],
    *[["sample", "{run}", "-n", "3", *words, "-o", "{new}.csv"] for words in (
        ["--seed", "-1"], ["--seed", str(10**20)], ["--corrected", "--refined"], ["--refined"],
        ["--nonsense"], ["x"],
    )],
    *[["sample", "{density}", "-n", "3", *words, "-o", "{new}.csv"] for words in (
        ["--corrected"], ["--refined"], ["--seed", "-1"], ["--seed", str(10**20)])],
    *[["sample", "{run}", "-n", "3", "-o", file] for file in (
        "{csv}", "{folder}", "{folder}.csv", "{fifo}.csv", "{missing}/x.csv", "{csv}/x.csv", "",
        "x", "x.xlsx", ".csv", "{new}.csv.gz", "{long}.csv", "{dangling}.csv", "/proc/x.csv",
        "/dev/null", "a\0.csv", "{loop}.csv",
    )],
    *[["score", "{run}", data, "-o", "{new}.csv"] for data in TABLES],
    *[["score", "{density}", f"{{bad}}/{name}", "-o", "{new}.csv"]
      for name in CONTENTS if name != "one_row.csv"],
    *[["score", "{run}", "{csv}", "-o", file] for file in (
        "{csv}", "{folder}.csv", "{fifo}.csv", "{missing}/x.csv", "x", "", "{long}.csv")],
    ["score", "{run}", "{csv}", "-o", "{csv}", "--force"],
    ["score", "{latent}", "{csv}", "-o", "{new}.csv"],
    ["score", "{run}", "{images}", "-o", "{new}.csv"],
    *[[verb] for verb in ("resume", "report", "sample", "score")],
    *[[verb, "{run}", "{run}", "{run}"] for verb in ("resume", "report", "sample", "score")],
    *[[verb, "{run}", "--nonsense"] for verb in ("resume", "report", "sample", "score")],
    ["sample", "{run}", "-n", "3"], ["sample", "{run}", "-o", "{new}.csv"], ["score", "{run}"],
    ["score", "{run}", "{csv}"], ["sample", "{run}", "-n", "-o", "{new}.csv"],
]  # fmt: skip

OTHERS = [
    *[["reproduce", *words] for words in (
        [], ["nonsense"], ["energy"], [""], ["energies", "--seeds", "0"], ["--seeds", "x"],
        ["energies", "--seeds", "-3"], ["energies", "--seeds", "1.5"], ["mnist", "--layers", "x"],
        ["energies", "--out"], ["energies", "gallery"], ["--nonsense"],
        ["mnist", "--flow", "nonsense", "--quick"], ["energies", "--out", "{csv}"],
        ["gallery", "--layers", "3"], ["energies", "--flow", "planar"],
        ["gallery", "--seeds", "3"],
    )],
    *[[verb, word] for verb in ("flows", "targets", "datasets", "demo")
      for word in ("x", "--nonsense", "--json=1", "-n")],
    *[[word] for word in ("infre", "INFER", "", " ", "-x", "--nonsense", "flow", "help", "x" * 5000,
                          "{csv}", "\u202e", "--traceback=1", "--version=1")],
    [],
]  # fmt: skip

COMMANDS = {
    "infer": INFER,
    "estimate": ESTIMATE,
    "fit-vae": FIT_VAE,
    "read": READ,
    "others": OTHERS,
}
