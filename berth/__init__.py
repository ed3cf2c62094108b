"""The shared language of Berth's processes: model, wire, errors, clock. No process's own code."""
