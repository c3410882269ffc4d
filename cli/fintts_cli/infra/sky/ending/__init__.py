"""What ends an instance when its launch or its trainer cannot."""
