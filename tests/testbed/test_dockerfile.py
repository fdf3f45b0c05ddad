from testbed.dockerfile import copied, reduced

DOCKERFILE = """\
ARG BASE=debian
FROM ${BASE} AS compile
COPY src/ ./
FROM scratch AS small
COPY --from=compile /x /x
FROM ${BASE} AS tests
COPY tests/ ./
FROM small AS large
COPY --chown=0:0 one \\
     two /etc/
"""


def test_a_target_keeps_the_stages_it_builds_on_and_copies_from():
    assert "AS tests" not in reduced(DOCKERFILE, "large")
    kept = [line for line in reduced(DOCKERFILE, "large").splitlines() if "FROM" in line]
    assert kept == ["FROM ${BASE} AS compile", "FROM scratch AS small", "FROM small AS large"]
    assert reduced(DOCKERFILE, "tests").startswith("ARG BASE=debian\nFROM ${BASE} AS tests\n")


def test_without_a_target_the_last_stage_is_built():
    assert reduced(DOCKERFILE, "") == reduced(DOCKERFILE, "large")
    assert reduced("FROM scratch\nCOPY x /x\n", "") == "FROM scratch\nCOPY x /x\n"


def test_what_a_target_is_made_from_leaves_out_files_of_other_stages():
    assert copied(reduced(DOCKERFILE, "small")) == {"src"}
    assert copied(reduced(DOCKERFILE, "large")) == {"src", "one", "two"}
    assert copied("FROM scratch\nADD . /all\n") == {"."}
