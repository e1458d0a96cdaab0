"""What `npm run bench:compression` measures this project by. Each is a module with `run` and `TOOLS`, as a stage is."""
