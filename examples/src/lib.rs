//! Small programs, one idea each: see the folders beside this file.
