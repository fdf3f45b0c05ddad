"""What users copy: an API server takes every document of the examples, with no field too many."""

import json

import pytest
import yaml

from testbed import images

pytestmark = pytest.mark.cluster

DOCUMENTS = {
    f"{file.parent.name}/{file.name} {document['kind']}": document
    for file in sorted(images.ROOT.glob("examples/*/*.yaml"))
    for document in yaml.safe_load_all(file.read_text())
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_api_server_accepts_it(cluster, name):
    strictly = ["create", "--dry-run=server", "--validate=strict", "--filename=-"]
    cluster.cluster.kubectl(*strictly, stdin=json.dumps(DOCUMENTS[name]))
