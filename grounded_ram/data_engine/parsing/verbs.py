"""English verbs of captions: their infinitives, and the forms that no rule makes."""

from __future__ import annotations

from grounded_ram.data_engine.parsing.english import words

VERBS = words(
    """
    abandon accept accompany act add adjust admire adopt adorn advertise age aim allow amuse anchor
    announce appear applaud approach argue arrange arrest arrive ask assemble assist assure attach
    attack attend attract await babysit bake balance bandage barbecue bark bask bathe battle beam
    beat beckon beg begin bend bet bike bind bite blaze bleed blend bless blink block bloom blossom
    blow blur board boil book bore bother bounce bow bowl box braid brake branch break breastfeed
    breathe brew brighten bring browse bruise brush bubble build bump bundle bungee burn burst bury
    butter button buy call camp canoe capture care caress carry cartwheel carve cast catch
    celebrate chain chase chat check cheer cheerlead chew chill chop churn circle clamp clap clasp
    clean clear click climb cling clip close cloud clutch coach coat coil collapse collect color
    comb come comfort command compare compete compile complete compose concentrate conduct confuse
    connect consider consist construct consume contain contemplate continue control converse cook
    cool count cover crack cradle crash crawl create creep crochet cross crouch crowd cruise
    crumble crush cry cuddle curl curve cut cycle dance dangle dart dash deal decorate defend
    define deflate delight deliver demolish demonstrate depart depict descend describe design
    destroy detail develop devour die dig dim dine dip direct disappear discover discuss display
    dissolve dive divide dock dot double doubt doze drag drain drape draw dream dress dribble drift
    drill drink drip drive drizzle drop drown dry duck dump dunk dust dye eat edge edit elevate
    embrace embroider emerge employ empty enclose encounter engage engrave enjoy enlarge enter
    equip erode erupt escape establish etch examine exchange exercise exhaust exhibit exit expand
    expect explain explode explore expose express extend extract face fade fall fan fascinate
    fasten feature feed feel fence fetch fight fill film find finish fish fit fix flank flap flash
    flatten flee flex flip float flock flood flow flutter fly focus fold follow forage forge form
    frame freeze frolic frost frown fry gain gallop garnish gather gaze gesture give glance glaze
    gleam glide glimpse glisten glitter glow glue gnaw go grab graduate grasp grate graze greet
    grill grin grind grip groom grow growl guard guess guide hail hammer handle hang harness
    harvest hatch haul hawk head heal hear heat help herd hide hike hit hitch hoist hold hop host
    hover howl huddle hug hum hunt hurdle hurl hurry identify illuminate imagine imitate improve
    include increase indicate inflate inscribe inspect install instruct intend interact interview
    invent invite involve iron jog join joke judge juggle jump kayak keep kick kiss knead kneel
    knit knock know label laminate land laugh launch lay lead lean leap learn leash leave lecture
    lick lie lift light line linger link listen litter live load locate lock lodge loiter look loom
    lose lounge love lower lunge make manage manufacture march mark marry mash massage match
    measure meditate meet melt mend mention milk mine mingle mirror miss mix model moor mop mount
    mourn move mow munch mutilate nap narrow near neglect negotiate nibble nod note notice nurse
    nuzzle obscure observe obstruct occupy occur offer officiate ooze open operate order overflow
    overlook overturn pack paddle paint pair parachute parade paraglide park pass pat patrol
    pattern pause pave pay pedal peek peel peer perch perform pet photograph pick picnic pile pilot
    pin pinch pitch place plan plant plate play plow pluck plunge point poke polish pop pose
    position possess post pour practice praise pray preach prepare present preserve press pretend
    prevent print proceed process produce promote propose protect protest prove provide prune pull
    pump punch punish purchase push put quarrel queue quilt race rain raise rake reach read receive
    recline record recycle reduce reel refer reflect refuel rehearse relax release remain remember
    remind remodel remove render renovate rent repair replace represent require rescue resemble
    rest restore retire return reveal ride ring rinse rip rise roar roast rock roll romp roost rot
    row rub rule run rush rust saddle sail salute sample save say scan scar scare scatter scold
    scoop score scrape scratch scream screw scrub sculpt seal seat secure see seem select sell send
    separate serve set sew shade shadow shake shape share sharpen shave shear shelter shelve shift
    shine ship shoot shop shout shovel show shower shred shrug shut sightsee sign simmer sing sink
    sip sit skate skateboard sketch skewer ski skid skip slam slap slather sled sleep slice slide
    slip smash smear smell smile smoke smooch snack snap snarl sneak sneeze sniff snorkel snow
    snowboard snuggle soak soar soften solve sort span spar sparkle speak speed spell spend spill
    spin splash split sponsor spoon spot spray spread sprinkle sprint sprout squabble squash squat
    squeeze squint squirt stab stack stage stain stalk stall stand stare start starve steal steam
    steer step stick stir stitch stop store strain stretch stride strike string strip stroke stroll
    struggle strum study stuff stumble style submerge succeed suck suffer suggest suit sunbathe
    support suppose surf surprise surround suspend swallow sway sweat sweep swim swing swirl switch
    swoop symbolize tackle tag take talk tan tangle tap taste tattoo taxi teach tear tell tempt
    tend test tether text thank thatch think throw tie tighten tile tilt time tip tire toast top
    toss touch tour tow tower trace track trade train transform translate transport trap travel
    tread trick trim trot trouble try tuck tug tumble tune turn twinkle twirl twist type unfold
    unite unload unpack unroll unwrap upholster use vacuum vary veil venture view visit volunteer
    wade wait wake wakeboard walk wander want warm warn wash watch water wave wear weather weave
    weigh welcome weld wheel whip whisk whisper whistle widen wield win wind windsurf wink wipe
    wish wither wonder work worship wrap wreck wrestle write yawn yell zip zoom
    """
)
"""Infinitives; many are nouns too."""

_IRREGULAR = """
arise arose arisen; awake awoke awoken; bear bore borne; beat beat beaten; begin began begun; bend
bent; bind bound; bite bit bitten; bleed bled; blow blew blown; break broke; breed bred; bring
brought; build built; burn burnt; burst burst; buy bought; cast cast; catch caught; choose chose
chosen; cling clung; come came; creep crept; cut cut; deal dealt; dig dug; dive dove; draw drew
drawn; dream dreamt; drink drank drunk; drive drove driven; eat ate eaten; fall fell fallen; feed
fed; feel felt; fight fought; find found; flee fled; fling flung; fly flew flown; freeze froze;
give gave given; go went gone; grind ground; grow grew grown; hang hung; hear heard; hide hid
hidden; hit hit; hold held; keep kept; kneel knelt; knit knit; know knew known; lay laid; lead
led; lean leant; leap leapt; learn learnt; leave left; lie lay lain; light lit; lose lost; make
made; meet met; mow mown; pay paid; put put; read read; ride rode ridden; ring rang rung; rise
rose risen; run ran; say said; see saw seen; sell sold; send sent; set set; sew sewn; shake shook
shaken; shear shorn; shine shone; shoot shot; show shown; shrink shrank shrunk; shut shut; sing
sang sung; sink sank sunk; sit sat; sleep slept; slide slid; sling slung; smell smelt; sow sown;
speak spoke spoken; speed sped; spell spelt; spend spent; spill spilt; spin spun; split split;
spread spread; spring sprang sprung; stand stood; steal stole stolen; stick stuck; sting stung;
stride strode; strike struck; string strung; sweep swept; swell swollen; swim swam swum; swing
swung; take took taken; teach taught; tear tore torn; tell told; think thought; throw threw
thrown; tread trod trodden; wake woke woken; wear wore worn; weave wove woven; weep wept; win won;
wind wound; wring wrung; write wrote written; unwind unwound; undergo underwent undergone;
withdraw withdrew withdrawn; babysit babysat
"""

PASTS = {
    past: base
    for base, *forms in (line.split() for line in _IRREGULAR.split(";") if line.strip())
    for past in forms
    if past != base
}
"""Irregular past forms and participles -> infinitive."""

GERUNDS = {
    "lying": "lie", "tying": "tie", "dying": "die", "dyeing": "dye", "skiing": "ski",
    "taxiing": "taxi", "bathing": "bathe", "dining": "dine", "biking": "bike", "hiking": "hike",
    "picnicking": "picnic", "panicking": "panic", "untying": "untie", "canoeing": "canoe",
}  # fmt: skip
"""Irregular forms in -ing -> infinitive."""

CUTTING = words("beat burst cast cut hit knit put read run set shut split spread")
"""Verbs whose past or participle is the infinitive."""

PARTICLES = {
    ("pick", "up"), ("line", "up"), ("lead", "to"), ("stop", "at"), ("type", "on"), ("go", "for"),
}  # fmt: skip
"""Verbs with a particle that RAM's list has as tags of their own; others are the verb alone."""
