"""Who calls, for each service of the sample platform: by the edge where there is one, otherwise by token and revocations."""

import os

from portcullis import AsyncServiceClient, AsyncVerifier, EdgeProof, Revocations, Secret, SeenHere
from portcullis.fastapi import Portcullis

IDENTITY_URL = os.environ["IDENTITY_URL"]
SERVICE_TOKEN = Secret(os.environ["SERVICE_TOKEN"])


def portcullis_of(service: str) -> Portcullis:
    """Return what decides for a service of the edge's route table."""
    verifier = AsyncVerifier(
        url=IDENTITY_URL,
        service_token=SERVICE_TOKEN,
        revocations=Revocations(fail_closed=True, poll=float(os.environ.get("REVOCATION_POLL", "5"))),
    )
    keys = os.environ.get("SERVICE_PROOF_KEYS")
    if keys is not None:
        return Portcullis(EdgeProof(keys, service, seen=SeenHere()), watch=verifier, realm=service)
    return Portcullis(verifier, realm=service, tell_browsers=True)


def identity() -> AsyncServiceClient:
    """Return the client of the identity service."""
    return AsyncServiceClient(IDENTITY_URL, SERVICE_TOKEN)
