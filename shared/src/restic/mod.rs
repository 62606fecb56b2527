//! What restic prints, as types. No process is run here.
