import type { OpenedSocket } from '../../gateway/face.ts'

/** Messages are handled one after another, so a connection has at most one. */
const key = 'reserved'

/** Acts with the place of a reader of the session taken, so that nothing is started for one that would be rejected then. */
export async function withReservedReader(
  { socket, connection }: Pick<OpenedSocket, 'socket' | 'connection'>,
  session: string,
  act: () => Promise<void>,
): Promise<void> {
  socket.requireRoom()
  connection.attach(session, key)
  try {
    await act()
  } finally {
    connection.detach(key)
  }
}
