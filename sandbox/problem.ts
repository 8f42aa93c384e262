/** Something that happens to people: its message says what, and what to do. Anything else that is thrown is a fault of ours. */
export class Problem extends Error {
  override name = 'Problem'
}

/** Somebody asked to stop before the work was done: nothing to tell. */
export class Interrupted extends Error {}

/** Prints a problem as its sentence, what the system says as ours, and a fault whole. */
export function explain(error: unknown): string {
  if (error instanceof Problem) return error.message
  const sentence = causes(error).flatMap((cause) => sentences.filter(([pattern]) => pattern.test(cause)))[0]?.[1]
  const told = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return sentence === undefined ? `This should not have happened:\n${told}` : `${sentence}\n(${firstLine(error)})`
}

const sentences: readonly (readonly [RegExp, string])[] = [
  [
    /ENOSPC|No space left on device|could not (extend|write)/i,
    'The disk is full. Make room, then start again: nothing that was there is lost.',
  ],
  [
    /EROFS|read-only file system/i,
    'The folder of the sandbox is on a disk that cannot be written to. Choose another one with BANKSIDE_HOME.',
  ],
  [/EACCES|EPERM|permission denied/i, 'The folder of the sandbox belongs to another user. Choose another one with BANKSIDE_HOME.'],
  [/EMFILE|ENFILE/, 'This machine has no more files to open. Close some programs, then start again.'],
]

function causes(error: unknown): string[] {
  const found: string[] = []
  for (let cause = error; cause instanceof Error && found.length < 8; cause = cause.cause)
    found.push(`${(cause as NodeJS.ErrnoException).code ?? ''} ${cause.message}`)
  return found
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? ''
}
