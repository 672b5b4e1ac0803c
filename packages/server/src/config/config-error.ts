/** A setting, a flag or an argument that cannot be used; its message says what to write instead. Exit code 2. */
export class ConfigError extends Error {}
