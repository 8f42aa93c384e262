import type { Server as HttpServer } from 'node:http'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { listen } from '@bankside/service-kit/tls-server'

/** A way to the database that can be cut and mended. */
export class BreakableLink {
  private readonly sockets = new Set<Socket>()
  private server: Server | undefined
  private port = 0
  private target = { host: '', port: 0 }

  /** The URL that leads through here. */
  async to(databaseUrl: string): Promise<string> {
    const url = new URL(databaseUrl)
    this.target = { host: url.hostname, port: Number(url.port) }
    await this.mend()
    url.hostname = '127.0.0.1'
    url.port = String(this.port)
    return url.href
  }

  async mend(): Promise<void> {
    this.server = createServer((socket) => {
      const onward = connect(this.target)
      for (const end of [socket, onward]) {
        this.sockets.add(end)
        end.on('error', () => end.destroy())
      }
      socket.pipe(onward).pipe(socket)
    })
    this.port = await listen(this.server as unknown as HttpServer, { port: this.port, address: '127.0.0.1' })
  }

  async cut(): Promise<void> {
    const closed = new Promise((done) => this.server?.close(done))
    for (const socket of this.sockets) socket.destroy()
    this.sockets.clear()
    await closed
  }
}
