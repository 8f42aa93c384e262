import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs'

const lookEveryMs = 1_000
const readAtMostBytes = 1_000_000
const errorLevel = 50
const toldAtMost = 3

/** Tells of new errors in logs of JSON lines, a few at a time: the rest is in the log. */
export function errorsIn(logs: readonly (readonly [name: string, path: string])[], say: (line: string) => void): { stop(): void } {
  const offsets = new Map(logs.map(([, path]) => [path, sizeOf(path)]))
  const look = () => {
    for (const [name, path] of logs) {
      const { text, end } = readNew(path, offsets.get(path) ?? 0)
      offsets.set(path, end)
      const errors = text.split('\n').flatMap(errorMessage)
      for (const message of errors.slice(0, toldAtMost)) say(`${name}: ${message}`)
      if (errors.length > toldAtMost) say(`${name}: and ${errors.length - toldAtMost} more errors, see ${path}`)
    }
  }
  const timer = setInterval(look, lookEveryMs)
  return { stop: () => clearInterval(timer) }
}

function readNew(path: string, from: number): { text: string; end: number } {
  const size = sizeOf(path)
  const start = size < from ? 0 : Math.max(from, size - readAtMostBytes)
  if (size === start) return { text: '', end: size }
  const bytes = Buffer.alloc(size - start)
  const file = openSync(path, 'r')
  try {
    const text = bytes.subarray(0, readSync(file, bytes, 0, bytes.length, start)).toString()
    const whole = text.lastIndexOf('\n') + 1
    return { text: text.slice(0, whole), end: start + Buffer.byteLength(text.slice(0, whole)) }
  } finally {
    closeSync(file)
  }
}

/** Of most lines it shows at once that they tell of no error: they are not taken apart. */
const mayBeError = /"level":[5-9]\d/

function errorMessage(line: string): string[] {
  if (!line.startsWith('{') || !mayBeError.test(line)) return []
  try {
    const { level, msg, err } = JSON.parse(line) as { level?: number; msg?: string; err?: { message?: string } }
    return (level ?? 0) >= errorLevel ? [[msg, err?.message].filter(Boolean).join(': ')] : []
  } catch {
    // Not a line of ours: a stack trace, or one that was cut.
    return []
  }
}

function sizeOf(path: string): number {
  return existsSync(path) ? statSync(path).size : 0
}
