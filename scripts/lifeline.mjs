/**
 * Preloaded into a supervised process: stops it when the supervisor dies in any way. The system closes the channel, so
 * nothing has to be sent.
 */
import process from 'node:process'

process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
// The channel must not keep a process alive that has nothing else to do.
process.channel?.unref()
// Child processes must not inherit the channel: they would write to it.
delete process.env['NODE_CHANNEL_FD']
