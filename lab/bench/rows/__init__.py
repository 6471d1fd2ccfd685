"""The rows of the table, by number: `module:function`; each brings up what it needs and gives its lines."""

ROWS = {
    1: "lab.bench.rows.one_region:measure",
    2: "lab.bench.rows.stretched:measure",
    3: "lab.bench.rows.isolation:measure",
    4: "lab.bench.rows.lag:measure",
    5: "lab.bench.rows.heal:measure",
    6: "lab.bench.rows.footprint:measure",
}
