import { open, readFile } from 'node:fs/promises'
import { type Checkpoint, type LogVerifiers, openCheckpoint } from './checkpoint.ts'

/**
 * Where checkpoints are kept outside the database: what was signed cannot be taken back. A file that is only ever added to now;
 * another machine, a witness, or a store in which nobody can delete is another one of these.
 */
export type CheckpointLog = {
  /** The note that was appended last. */
  last(): Promise<string | undefined>
  /** It lasts when this is done. */
  append(note: string): Promise<void>
}

const privateMode = 0o600
/** More than two notes of the longest kind. */
const tailBytes = 16 * 1024

/** A line for each checkpoint: a JSON string that is its note. What a process that died left half written is passed over. */
export function checkpointFile(path: string): CheckpointLog {
  return {
    async last() {
      const tail = await tailOf(path)
      return notesIn(tail.slice(tail.indexOf('\n') + 1)).at(-1) ?? notesIn(tail).at(-1)
    },
    async append(note) {
      const isHalfWritten = !['', '\n'].includes((await tailOf(path)).slice(-1))
      const file = await open(path, 'a', privateMode)
      try {
        await file.write(`${isHalfWritten ? '\n' : ''}${JSON.stringify(note)}\n`)
        await file.sync()
      } finally {
        await file.close()
      }
    },
  }
}

/** Of a file of such lines, or of a single note as a witness keeps it. @throws {BadCheckpoint} */
export async function keptCheckpoints(path: string, verifiers: LogVerifiers): Promise<Checkpoint[]> {
  const text = await readFile(path, 'utf8')
  const notes = text.startsWith('"') || text === '' ? notesIn(text) : [text]
  return notes.map((note) => openCheckpoint(note, verifiers))
}

const notesIn = (text: string): string[] => text.split('\n').slice(0, -1).flatMap(asNote)

function asNote(line: string): string[] {
  try {
    const note: unknown = JSON.parse(line)
    return typeof note === 'string' ? [note] : []
  } catch {
    return []
  }
}

async function tailOf(path: string): Promise<string> {
  try {
    const file = await open(path, 'r')
    try {
      const { size } = await file.stat()
      const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(tailBytes), position: Math.max(0, size - tailBytes) })
      return buffer.toString('utf8', 0, bytesRead)
    } finally {
      await file.close()
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}
