/** The output of a response while it is streamed: items are added and replaced, and each change is an event. */
export type Emit = (type: string, fields: object) => void

export class ResponseOutput {
  readonly items: object[] = []
  readonly emit: Emit

  constructor(emit: Emit) {
    this.emit = emit
  }

  /** Returns the place of the item. */
  add(item: object): number {
    const place = this.items.push(item) - 1
    this.emit('response.output_item.added', { output_index: place, item })
    return place
  }

  finish(place: number, item: object): void {
    this.items[place] = item
    this.emit('response.output_item.done', { output_index: place, item })
  }
}
