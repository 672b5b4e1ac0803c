/**
 * Removes the values of secrets from text that is written to a log or sent to a reader. Providers repeat a key in their
 * errors, and Node prints a header that it cannot send.
 */

/** Names of variables: `OPENAI_API_KEY`, `GITHUB_TOKEN`, `AWS_SECRET_ACCESS_KEY`. */
const secretName = /(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD)$/i
/** Shorter values, such as `none` and `x`, are placeholders and would be found in every word. */
const secretLengthMin = 6

export function redact(text: string, env: NodeJS.ProcessEnv = process.env): string {
  return secretsOf(env).reduce((rest, secret) => rest.replaceAll(secret, '[redacted]'), text)
}

/** Values with several lines or words are matched word by word: the text may escape, quote or cut what separates them. */
function secretsOf(env: NodeJS.ProcessEnv): string[] {
  return Object.entries(env)
    .filter(([name]) => secretName.test(name))
    .flatMap(([, value = '']) => value.split(/[\s'"“”‘’]+/))
    .filter((piece) => piece.length >= secretLengthMin)
    .sort((a, b) => b.length - a.length)
}
