import { styleText } from 'node:util'

/** Prints what happens as a person would tell it, and keeps count of what held. */
export type Story = {
  title(text: string): void
  scene(title: string, body: (scene: Scene) => Promise<void>): Promise<void>
  remark(text: string): void
  /** Prints the end. @returns whether everything held. */
  end(): boolean
}
export type Scene = {
  /** One thing that somebody does. What is checked about it stands below, once it has held. */
  step<Result>(what: string, act: (check: Check) => Promise<Result>): Promise<Result>
}
export type Check = {
  /** @throws when it does not hold: the scene ends there. */
  holds(fact: string, condition: boolean, instead?: string): void
  /** Something worth knowing that is not a check. */
  note(text: string): void
}

const width = 96

/** @param announce says each step before it is done, too: with a trace between, one would not know what the requests are for. */
export function tellStory({ announce = false, out = process.stdout }: { announce?: boolean; out?: NodeJS.WriteStream } = {}): Story {
  const startedAt = performance.now()
  const paint = (style: Parameters<typeof styleText>[0], text: string) => styleText(style, text, { stream: out })
  const say = (text: string) => out.write(`${text}\n`)
  let checks = 0
  let scenes = 0
  const broken: string[] = []
  const fact = (text: string) => say(paint('dim', `       ${text}`))

  const step: Scene['step'] = async (what, act) => {
    const told: string[] = []
    const check: Check = {
      holds(text, condition, instead) {
        if (!condition) throw new Error(`expected: ${text}${instead ? `; instead: ${instead}` : ''}`)
        checks++
        told.push(`✓ ${text}`)
      },
      note: (text) => told.push(`· ${text}`),
    }
    if (announce) say(`   ${paint('cyan', '○')} ${what}`)
    const stepStartedAt = performance.now()
    try {
      const result = await act(check)
      const duration = `${Math.round(performance.now() - stepStartedAt)} ms`
      say(`   ${paint('green', '●')} ${what}${' '.repeat(Math.max(2, width - what.length - duration.length))}${paint('dim', duration)}`)
      told.forEach(fact)
      return result
    } catch (error) {
      say(`   ${paint('red', '✗')} ${what}`)
      told.forEach(fact)
      throw error
    }
  }

  return {
    title: (text) => say(`\n${paint('bold', text)}`),
    remark: (text) => say(paint('dim', `     … ${text}`)),
    async scene(title, body) {
      scenes++
      say(`\n${paint('bold', `${scenes}. ${title}`)}`)
      try {
        await body({ step })
      } catch (error) {
        broken.push(title)
        say(paint('red', `     ${describe(error)}`))
      }
    },
    end() {
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
      const outcome =
        broken.length === 0
          ? paint('green', 'Everything held')
          : paint('red', `${broken.length} of ${scenes} parts did not hold: ${broken.join('; ')}`)
      say(`\n${outcome}. ${checks} checks in ${seconds} s.\n`)
      return broken.length === 0
    },
  }
}

/** The errors of openid-client carry what the server said beside the message. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const said = error as Error & { error?: string; error_description?: string; status?: number }
  const answer = said.error ? ` (${said.status ?? ''} ${said.error}: ${said.error_description ?? ''})` : ''
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : ''
  return `${said.message}${answer}${cause}`
}
