"""AWS emulated on this machine, so that the real SkyPilot can launch, recover and tear down.

`enclosure` makes namespaces in which all of it lives and dies; `cloud.EmulatedAws`, started inside,
is what a test uses; `hypervisor` serves AWS's API by moto and boots what that API calls running.
"""
