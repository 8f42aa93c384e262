import { randomInt } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below the ports that systems give to outgoing connections, and to whoever asks for any. */
const firstPort = 12_000
const lastPort = 30_000
const attempts = 200

/**
 * For a server that is told its port before it listens. The ports stay this process's own for as long as it lives: nobody else is given one
 * of them here, however late the server comes, and however often it is started again.
 *
 * @returns the first of so many neighbouring ports of the loopback, on which nobody listens.
 */
export async function freePorts(count = 1): Promise<number> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const first = randomInt(Math.ceil(firstPort / count), Math.floor(lastPort / count)) * count
    if (await holdAll(Array.from({ length: count }, (_, offset) => first + offset))) return first
  }
  throw new Error(`no ${count} neighbouring free ports between ${firstPort} and ${lastPort}`)
}

/** All of them or none. */
async function holdAll(ports: readonly number[]): Promise<boolean> {
  const held: Socket[] = []
  for (const port of ports) {
    const socket = await hold(port)
    if (socket !== undefined) held.push(socket)
    if (socket === undefined || !(await isFree(port))) {
      for (const one of held) one.close()
      return false
    }
  }
  return true
}

/** By the UDP port of the same number: the system gives it to one process at a time, and back when that ends, however it ends. */
async function hold(port: number): Promise<Socket | undefined> {
  const socket = createSocket('udp4').bind({ port, address: '127.0.0.1', exclusive: true })
  try {
    await once(socket, 'listening')
    return socket.unref()
  } catch {
    return undefined // EADDRINUSE is an answer.
  }
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer().listen(port, '127.0.0.1')
  try {
    await once(probe, 'listening')
  } catch {
    return false
  }
  probe.close()
  await once(probe, 'close')
  return true
}
