/**
 * Loaded before a supervised process: when the supervisor is gone, however that happened, the
 * process ends in good order. The channel is closed by the system, so nothing has to be sent.
 */
import process from 'node:process'

process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
// Waiting for the supervisor must not keep a process alive that has nothing else to do.
process.channel?.unref()
// The channel is no business of the processes this one starts: they would try to speak on it.
delete process.env['NODE_CHANNEL_FD']
