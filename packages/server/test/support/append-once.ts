/** A program that only appends, and closes nothing. */
import { sqliteEngine } from 'millrace'

const engine = sqliteEngine({ folder: process.argv[2] ?? '' })
for (let n = 1; n <= 3; n++) await engine.append('a', [{ type: 'n', data: { n } }])
process.stdout.write('appended\n')
