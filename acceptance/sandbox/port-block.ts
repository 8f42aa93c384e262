import { randomInt } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'

const portsPerSandbox = 10
/** Below the ports that systems give to outgoing connections, and to whoever asks for any. */
const firstPort = 12_000
const lastPort = 30_000
const attempts = 200

/**
 * The first of ten ports that nobody listens on. Until the sandbox does, and as long as this process lives, nobody else among the tests is
 * given one of them: all hold the UDP port of the same number (`service-kit/free-ports.ts`), from here on this process.
 */
export async function freePortBlock(): Promise<number> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const base = randomInt(firstPort / portsPerSandbox, lastPort / portsPerSandbox) * portsPerSandbox
    const ports = Array.from({ length: portsPerSandbox }, (_, offset) => base + offset)
    const held = await Promise.all(ports.map(hold))
    if (held.every((socket) => socket !== undefined) && (await Promise.all(ports.map(isFree))).every(Boolean)) return base
    for (const socket of held) socket?.close()
  }
  throw new Error('no ten free ports in a row')
}

async function hold(port: number): Promise<Socket | undefined> {
  const socket = createSocket('udp4').bind({ port, address: '127.0.0.1', exclusive: true })
  try {
    await once(socket, 'listening')
    return socket.unref()
  } catch {
    return undefined // EADDRINUSE is the answer that was asked for.
  }
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer()
  try {
    probe.listen(port, '127.0.0.1')
    await once(probe, 'listening')
    return true
  } catch {
    return false
  } finally {
    probe.close()
  }
}
