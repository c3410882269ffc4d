"""What a run leaves behind, and where: records, the commit protocol, the stores."""
