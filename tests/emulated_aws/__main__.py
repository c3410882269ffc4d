"""Entry to the rig from outside of it.

python tests/emulated_aws build                     # the image of the instances
python tests/emulated_aws run COMMAND [ARGUMENT…]   # in an enclosure
"""

import sys

from rig import enclosure, image

if __name__ == "__main__":
    verb, *command = sys.argv[1:] or [""]
    if verb == "build" and not command:
        image.build()
    elif verb == "run" and command:
        raise SystemExit(enclosure.run(command))
    else:
        raise SystemExit(__doc__)
