/** The command was used wrongly: its message is printed with the help. */
export class UsageError extends Error {}
