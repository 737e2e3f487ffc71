"""Calls that must be refused: expressions over the names in `test_bad_calls.py`."""

NOT_POSITIVE_WHOLE = [
    "0",
    "-1",
    "1.5",
    "'x'",
    "nan",
    "inf",
    "True",
    "10**20",
    "10**400",
    "[1]",
    "two",
    "1j",
]
NOT_POSITIVE = [
    "0",
    "-1.0",
    "10**400",
    "nan",
    "inf",
    "'x'",
    "True",
    "[0.1]",
    "1j",
    "two",
    "object()",
]
NOT_SEEDS = ["-1", "1.5", "'x'", "True", "10**20", "10**400", "nan", "[0]", "two"]

INFER = [
    *[f"tw.infer('u1', {name}={value})" for name in ("steps", "batch_size", "restarts")
      for value in NOT_POSITIVE_WHOLE],
    *[f"tw.infer('u1', {name}={value})" for name in ("learning_rate", "time_limit")
      for value in NOT_POSITIVE],
    *[f"tw.infer('u1', seed={value})" for value in [*NOT_SEEDS, "None"]],
    *[f"tw.infer(f, {value})" for value in [*NOT_POSITIVE_WHOLE, "None"]],
    *[f"tw.infer('u1', flow={value})" for value in (
        "'nonsense'", "''", "3", "None", "[]", "b'planar'", "object()", "lambda: 1",
        "lambda key, dim: 3", "'planar', layers=0", "'planar', layers=1.5", "'planar', layers='x'",
        "'planar', layers=10**12", "'planar', hidden=[4]", "'real_nvp', hidden=4",
        "'real_nvp', hidden=[0]", "'real_nvp', hidden=['x']", "'real_nvp', hidden=[10**12]",
        "'planar', nonsense=1", "'planar', layers=[]", "'planar', layers=two",
    )],
    *[f"tw.infer('u1', {words})" for words in (
        "objective='forward_kl'", "objective=3", "objective=None", "gradient='x'", "gradient=None",
        "annealing='x'", "annealing=None", "annealing=1.5", "refine='hmc'", "refine=3",
        "init=10**400", "progress='yes'", "progress=1", "progress=[]", "progress=object()", "dim=3",
        "dim=10**12", "parameters={'a': ()}", "supports={'a': 'real'}", "out=3", "out=[]",
        "out='a\\0b'", "out=b'run'", "out=full",
    )],
    *[f"tw.infer({target})" for target in (
        "3", "None", "[]", "''", "'nonsense'", "b'u1'", "object()", "'x' * 5000", "two", "int",
        "'nowhere.py:f'", "'nowhere.stan'", "':'", "{}",
    )],
    *[f"tw.infer(f, parameters={value})" for value in (
        "{}", "{'a': -1}", "{'a': 'x'}", "{'a': (0.5,)}", "{1: ()}", "[]", "'a'",
        "{'a': (10**12,)}",
    )],
    *[f"tw.infer(f, parameters={{'a': ()}}, supports={value})" for value in (
        "['positive']", "'positive'", "{'b': 'positive'}", "{'a': 'nonsense'}", "{'a': 3}",
        "{'a': 'interval(1, 0)'}", "{'a': 'interval(0,' + '9' * 400 + ')'}", "{'a': 'simplex'}",
    )],
]  # fmt: skip

POSTERIOR = [
    *[f"posterior.sample({value})" for value in [*NOT_POSITIVE_WHOLE, "None", "10**13", "10**400"]],
    *[f"posterior.sample(3, seed={value})" for value in NOT_SEEDS],
    *[f"posterior.resample({value})" for value in ("0", "-1", "1.5", "'x'", "10**13", "None")],
    *[f"posterior.refine({words})" for words in (
        "'hmc'", "3", "draws=0", "draws='x'", "chains=0", "chains=1", "chains='x'", "seed=-1",
        "seed=10**20", "progress='yes'",
    )],
    *[f"posterior.expectation({words})" for words in ("f, 0", "f, -1", "f, 'x'", "f, 10, -1")],
    *[f"posterior.save({path})" for path in ("full", "3", "None")],
]  # fmt: skip

ESTIMATOR = [
    *[f"tw.DensityEstimator({words}).fit(X)" for words in (
        "flow='nonsense'", "flow=3", "layers=0", "layers='x'", "hidden=4", "hidden=[0]", "steps=0",
        "steps=1.5", "steps=10**20", "batch_size=0", "batch_size='x'", "learning_rate=0",
        "learning_rate='x'", "learning_rate=nan", "members=0", "members='x'", "noise=-1",
        "noise='x'", "valid_fraction=1", "valid_fraction='x'", "marginals='nonsense'",
        "marginals={'x9': 'positive'}", "discrete='nonsense'", "missing='nonsense'",
        "random_state=-1", "random_state='x'", "weight_decay=-1", "flow_options=3",
        "flow_options={'nonsense': 1}", "base='nonsense'",
        *[f"{name}=10**400" for name in (
            "layers", "noise", "valid_fraction", "learning_rate", "weight_decay", "marginals",
            "members", "steps", "random_state",
        )],
    )],
    *[f"tw.DensityEstimator().fit({value})" for value in (
        "None", "3", "'x'", "[]", "[[]]", "[1, 2, 3]", "[['a', 'b']] * 9", "X[:0]", "X[:1]",
        "X[None]", "X + nan", "X + inf", "[[10**400, 1.0]] * 9", "X + 1j", "X, None, X[:3]",
        "X, None, 'x'",
    )],
    *[f"tw.DensityEstimator().{method}" for method in ("sample()", "score(X)", "score_samples(X)")],
]  # fmt: skip

LATENT = [
    *[f"tw.LatentGaussianModel({words}, progress=False).fit(images)" for words in (
        "latent=0", "latent='x'", "latent=10**12", "flow='nonsense'", "flow=3", "layers=0",
        "hidden=[0]", "hidden=4", "steps=0", "steps='x'", "batch_size=0", "learning_rate=0",
        "time_limit=0", "time_limit='x'",
        "prior='nonsense'", "likelihood='nonsense'", "network='nonsense'", "seed=-1", "seed='x'",
        "seed=10**20", "drop=2", "augment=-1", "valid_fraction=2", "optimiser='nonsense'",
        "nonlinearity='nonsense'", "draws=0",
        *[f"{name}=10**400" for name in (
            "latent", "layers", "steps", "learning_rate", "seed", "draws", "augment",
        )],
    )],
    "tw.LatentGaussianModel(progress='yes')",
    *[f"tw.LatentGaussianModel(progress=False).fit({value})" for value in (
        "None", "3", "'x'", "[]", "images[:0]", "images + nan", "object()",
    )],
]  # fmt: skip

OTHERS = [
    *[f"tw.load({path})" for path in (
        "'nowhere'", "'x' * 5000", "''", "'a\\0b'", "3", "None", "b'x'", "full", "[]", "'.'",
    )],
    *[f"tw.flows.build({words})" for words in (
        "'nonsense', key, 2", "'planar', key, 0", "'planar', key, -1", "'planar', key, 1.5",
        "'planar', key, 2, layers=0", "'planar', key, 2, nonsense=1", "'planar', key, 10**400",
        "'planar', key, 2, layers=10**400", "'bernstein', key, 2, degree=10**12",
        "'naf', key, 2, groups='x'", "'umnn', key, 2, bound=10**400", "'glow', key, 4, levels='x'",
        "'planar', key, 2, nonlinearity=3", "'made', key, 2, hidden=(10**12,)",
        "'nice', key, 2, diagonal='no'", "'real_nvp', key, 2, max_log_scale=float('nan')",
    )],
    *[f"tw.targets.get({words})" for words in (
        "'banana', scale=1e200", "'funnel', scale=1e5", "'ring', width=1e-200",
        "'two_modes', separation=10**400", "'forty_modes', spread=1e308",
        "'nonsense'", "''", "'standard_normal', dim=0", "'standard_normal', dim='x'",
        "'standard_normal', dim=10**12", "'u1', nonsense=1", "'funnel', dim=1.5",
    )],
]  # fmt: skip

CALLS = {
    "infer": INFER,
    "posterior": POSTERIOR,
    "estimator": ESTIMATOR,
    "latent": LATENT,
    "others": OTHERS,
}
