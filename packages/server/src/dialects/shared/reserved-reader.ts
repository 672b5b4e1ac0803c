import type { OpenedSocket } from '../../gateway/face.ts'

/** Messages are handled one after another, so a connection has at most one. */
const key = 'reserved'

/** Counts the reader before `act` starts a run for it: one that exceeds a limit is rejected with no run started. */
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
