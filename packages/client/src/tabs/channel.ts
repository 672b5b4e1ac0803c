/** A BroadcastChannel between the tabs of an origin. */

export interface TabChannel<Message> {
  /** Does nothing once it is closed: an answer may come when the tab that asked, or this one, is gone. */
  post(message: Message): void
  close(): void
}

export function openTabChannel<Message>(name: string, onMessage?: (message: Message) => void): TabChannel<Message> {
  const channel = new BroadcastChannel(name)
  let isClosed = false
  // Elsewhere than in a browser it would keep the process alive.
  ;(channel as { unref?: () => void }).unref?.()
  if (onMessage !== undefined) channel.onmessage = ({ data }: { data: Message }) => onMessage(data)
  return {
    post(message) {
      if (!isClosed) channel.postMessage(message)
    },
    close() {
      isClosed = true
      channel.close()
    },
  }
}
