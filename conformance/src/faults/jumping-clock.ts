/**
 * Preloaded into a server: at every SIGUSR2 its wall clock jumps by two hours, forward and back in turn, and it prints
 * that. Timers use the monotonic clock and are unaffected.
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
