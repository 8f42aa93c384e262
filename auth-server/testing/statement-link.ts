import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

type Armed = { readonly after: number; readonly act: () => void; done: number; reached: boolean }

type State = { armed: Armed | undefined; backendPid: number; readonly cut: typeof messages }

/**
 * A way to PostgreSQL or Redis that counts the statements that were executed, and does something at the boundary after one of
 * them: it is executed, its answer never arrives, and nothing follows. Before the first is after none.
 */
export class StatementLink {
  readonly url: string
  private readonly server: Server
  private readonly sockets: Set<Socket>
  private readonly state: State

  private constructor(url: string, server: Server, sockets: Set<Socket>, state: State) {
    this.url = url
    this.server = server
    this.sockets = sockets
    this.state = state
  }

  static async to(storeUrl: string): Promise<StatementLink> {
    const url = new URL(storeUrl)
    const target = { host: url.hostname, port: Number(url.port) }
    const sockets = new Set<Socket>()
    const state: State = { armed: undefined, backendPid: 0, cut: url.protocol.startsWith('redis') ? chunks : messages }
    const server = createServer((client) => pass(client, connect(target), sockets, state))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    url.hostname = '127.0.0.1'
    url.port = String((server.address() as { port: number }).port)
    return new StatementLink(url.href, server, sockets, state)
  }

  arm(after: number, act: () => void): void {
    this.state.armed = { after, act, done: 0, reached: false }
  }

  /** @returns whether the boundary was there. */
  disarm(): boolean {
    const reached = this.state.armed?.reached === true
    this.state.armed = undefined
    return reached
  }

  /** Of PostgreSQL, the process that served us last. */
  backendPid(): number {
    return this.state.backendPid
  }

  close(): void {
    this.server.close()
    for (const socket of this.sockets) socket.destroy()
  }
}

const readyForQuery = 'Z'
const backendKeyData = 'K'
/** The end of a statement, as it is asked: Sync, or a simple Query. */
const ends = ['S', 'Q']

function pass(client: Socket, server: Socket, sockets: Set<Socket>, state: State): void {
  let isStarted = false
  for (const socket of [client, server]) {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      sockets.delete(socket)
      client.destroy()
      server.destroy()
    })
  }
  const stopAt = (armed: Armed) => {
    if (armed.reached) return
    armed.reached = true
    armed.act()
    for (const socket of sockets) socket.destroy()
  }
  const asked = state.cut({ startup: true })
  client.on('data', (chunk: Buffer) => {
    const { armed } = state
    const isStatement = asked(chunk).some(({ type }) => ends.includes(type))
    if (armed?.reached || (armed?.after === 0 && isStarted && isStatement)) return armed && stopAt(armed)
    server.write(chunk)
  })
  const answered = state.cut({ startup: false })
  server.on('data', (chunk: Buffer) => {
    for (const { type, body } of answered(chunk)) {
      if (type === backendKeyData) state.backendPid = body.readInt32BE(0)
      if (type !== readyForQuery) continue
      // The first is the answer to the connection itself.
      if (isStarted && state.armed !== undefined && ++state.armed.done === state.armed.after) return stopAt(state.armed)
      isStarted = true
    }
    if (state.armed?.reached !== true) client.write(chunk)
  })
}

type Message = { readonly type: string; readonly body: Buffer }

/** Cuts a stream into the messages of PostgreSQL's protocol, version 3. */
function messages({ startup }: { startup: boolean }): (chunk: Buffer) => Message[] {
  let rest = Buffer.alloc(0)
  let first = startup
  return (chunk) => {
    rest = Buffer.concat([rest, chunk])
    const found: Message[] = []
    for (;;) {
      const head = first ? 0 : 1
      if (rest.length < head + 4) return found
      const end = head + rest.readInt32BE(head)
      if (rest.length < end) return found
      found.push({ type: first ? '' : String.fromCharCode(rest[0] ?? 0), body: rest.subarray(head + 4, end) })
      rest = rest.subarray(end)
      first = false
    }
  }
}

/** What Redis is asked comes in one piece, because one act asks one thing; so does the answer. */
function chunks({ startup }: { startup: boolean }): (chunk: Buffer) => Message[] {
  return (body) => [{ type: startup ? 'S' : readyForQuery, body }]
}
