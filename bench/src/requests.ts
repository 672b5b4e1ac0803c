/** The requests of the load, as bytes. */
export const post = (path: string, body: object): string => {
  const json = JSON.stringify(body)
  const head = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n`
  return `${head}content-length: ${Buffer.byteLength(json)}\r\n\r\n${json}`
}

export const upgradeRequest =
  'GET /ws/chat HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\n' +
  'sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'

export const request = (path: string, token?: string): string => {
  const authorization = token === undefined ? '' : `authorization: Bearer ${token}\r\n`
  return `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n${authorization}\r\n`
}
