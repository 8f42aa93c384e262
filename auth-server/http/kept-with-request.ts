/** What requests have beside what they are: looked up by the request, gone with it. */
export type KeptWithRequest<Value> = {
  get(request: object): Value | undefined
  set(request: object, value: Value): void
  delete(request: object): void
}

/**
 * On the request itself, under a name that nobody else has. In a `WeakMap` it would be quite the same, but V8 leaves what a value reaches to
 * full collections: where that is the request, all that it had made stays until then, is copied twice on the way, and full collections
 * come several times a second.
 */
export function keptWithRequest<Value>(name: string): KeptWithRequest<Value> {
  const place = Symbol(name)
  type Keeping = { [place]?: Value | undefined }
  return {
    get: (request) => (request as Keeping)[place],
    set(request, value) {
      ;(request as Keeping)[place] = value
    },
    delete(request) {
      ;(request as Keeping)[place] = undefined
    },
  }
}
