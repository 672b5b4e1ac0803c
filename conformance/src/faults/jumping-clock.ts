/**
 * Loaded before a server: its wall clock jumps by two hours at every SIGUSR2, forth and back and back and forth, and it
 * says so. Its timers are of a clock that cannot be set, and stay as they are.
 */
import process from 'node:process'

const hoursOff = [2, 0, -2, 0]
const { now } = Date
let jumps = 0
let offMs = 0

Date.now = () => now() + offMs
process.on('SIGUSR2', () => {
  offMs = (hoursOff[jumps % hoursOff.length] as number) * 3_600_000
  jumps += 1
  process.stderr.write(`jump ${jumps}\n`)
})
