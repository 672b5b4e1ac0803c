/** Imported before everything else: an older Node cannot run the rest, and would fail with an unrelated error. */
const oldest = [22, 19] as const

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
  throw new Error(`Millrace needs Node ${oldest.join('.')} or newer, and this is Node ${process.versions.node}.`)
}
