"""Argon2id hashes of the reference implementation (libargon2 inside argon2-cffi) over the parameters the service
accepts, one a line: memory in KiB, passes, lanes, version, and password, salt and output in hexadecimal.

The sample in agreement/libargon2.txt is `libargon2.py 200 9106`; without a second number the hashes are fresh ones.
"""
import random
import sys

from argon2.low_level import Type, hash_secret_raw

count = int(sys.argv[1])
chance = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else None)

for number in range(count):
    lanes = 1 if chance.random() < 0.5 else chance.randint(1, 16)
    least = 8 * lanes
    memory = chance.randint(least, max(least, 19_456 if number % 100 == 0 else chance.choice([16, 64, 512])))
    passes = chance.randint(1, 3 if memory > 1024 else 16)
    version = 16 if chance.random() < 0.125 else 19
    password = chance.randbytes(chance.randint(0, 200))
    salt = chance.randbytes(chance.randint(8, 64))
    length = 32 if chance.random() < 0.5 else chance.randint(16, 128)
    output = hash_secret_raw(password, salt, passes, memory, lanes, length, Type.ID, version)
    print(memory, passes, lanes, version, password.hex(), salt.hex(), output.hex())
