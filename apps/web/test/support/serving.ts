/** Run as a process of its own: a server that keeps its logs in a folder, as `millrace start` does. Prints its port. */
import { createMillrace, sqliteEngine } from 'millrace'

const [folder = '', page = '', model = '', port = '0'] = process.argv.slice(2)
const millrace = createMillrace({ engine: sqliteEngine({ folder }), page, model })
const { port: taken } = await millrace.listen({ port: Number(port) })
process.stdout.write(`${taken}\n`)
