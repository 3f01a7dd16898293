"""English adjectives of captions, besides the attributes of the vocabulary."""

from __future__ import annotations

from grounded_ram.data_engine.parsing.english import words

ADJECTIVES = words(
    """
    abundant active actual adorable adult aerodynamic affectionate afraid aggressive alert alive
    alone amazing amused ancient animated anxious appealing appetizing aquatic arid aromatic
    artificial artistic ash-blond ashamed asleep assorted astonished athletic attentive attractive
    auburn autumnal available average aware awesome awful awkward azure bad baggy balding barefoot
    barren basic beaded bearded best better bewildered big bitter bizarre black-and-white bleak
    blind blond bloody blue-eyed blurred blurry boring bottomless bouncy brave brick-red brief
    bright-eyed brilliant brittle brunette bubbly bumpy burgundy bushy busy buttery caffeinated
    calm canine carbonated carefree careful careless carpeted casual cautious celestial central
    charcoal-gray charming cheap checked checkered cheerful cheesy chestnut-brown chic chilly
    chocolatey chubby chunky circular classy clear clever close clumsy coarse cobalt cobbled
    cobblestone cold colonial colored colorless colossal comfortable comfy comical common compact
    complete complex concerned confident confused congested contemporary coral-colored cordless
    corporate correct cosy cozy crazy cream-colored creamy creative creepy crimson crisp crispy
    crooked crosswise crowded crude cruel crumbly crunchy crusty cubic cuddly cultural curious
    curly curved cushioned cute cyan cylindrical daily dainty damp dangerous daring dazzling
    decadent deciduous decorative deep-fried defensive delicate delicious delighted dense deserted
    detailed determined devastated diagonal different difficult dilapidated dim dingy dirty dotted
    disabled discolored distant distinct diverse dizzy domed domestic domesticated dramatic dreamy
    dressy drowsy drunk dry dual dull dusty dynamic eager early eastern easy ebony eclectic edible
    eerie elaborate elastic electric electrical elegant elongated embarrassed emerald eminent
    emotional enchanting endangered endless energetic enjoyable enormous enthusiastic entire
    environmental equal erect ethereal ethnic evergreen everyday exact excellent excited exciting
    exclusive exhausted exotic expensive expert exquisite exterior external extra extraordinary
    extreme fabulous faint fair fake familiar famous fantastic far-away fashionable fast faulty
    favorite feathered feathery feline feminine festive fierce fiery filthy final fine firm fishy
    fit flaky flamboyant flammable flavorful flawless fleecy flexible floppy flowery fluffy
    fluorescent foamy foldable folksy foreign forested forlorn formal fortified four-legged fragile
    fragrant freckled free freestanding frequent freshwater friendly frightened frilly frizzy
    frothy fruity fuchsia full-length full-size fun functional funky funny furry fuzzy gated gaunt
    general generic generous gentle gigantic glad glamorous glassy gleeful global gloomy glorious
    glossy gluten-free gnarled golden good goofy graceful gracious grand graphic grassy grateful
    grave gray-haired greasy great greedy greenish grim grimy gritty grotesque grumpy gummy
    hairless hairy half-empty handcrafted handheld handmade handwritten handy happy hard hardy
    harmless harsh hazardous hazy healthy heart-shaped hearty heavy hefty heroic hexagonal
    high-rise high-tech hilarious hilly hip hollow holy homeless homemade homey honest hooded
    hopeful horizontal horned horrible hospitable hostile humble humid humorous hungry icy ideal
    identical idle idyllic ill illegal imaginary immaculate immature immense important impossible
    impressive incomplete incredible independent indigo infinite inflatable informal injured inner
    innocent inquisitive intact intense intent interactive interested interesting interior internal
    international intricate inviting iridescent irregular isolated itchy ivory-colored jagged
    jeweled jolly jovial joyful joyous juicy jumbo junior keen kind knitted known lacy laminate
    landlocked lanky lasting late lavender-colored lavish layered lazy leafless leafy leaky lean
    leathery left-handed legal lengthy level life-size lifeless lifelike light light-colored
    lightweight likely lime lime-green linear liquid lit literary lively local lone lonely
    long-haired long-sleeved loose loud lovable loving low-cut loyal lucky luminous lumpy luscious
    lush luxurious mad magenta magical magnetic magnificent main majestic major manicured maritime
    maroon married marshy masculine massive matching matte mature mauve meaty mechanical mechanized
    mellow memorable merry messy microscopic mild military milky minimal minimalist minimalistic
    minor mirrored mischievous miserable misty mobile moderate modest moist moldy monochromatic
    moody motionless motorised motorized mountainous mouth-watering movable muddy muggy
    multi-colored multicolored multicoloured multiple municipal murky muscular mushy mustard-yellow
    musty muted mysterious mystic mystical naked narrow national naughty nautical navy-blue nearby
    neat necessary nervous neutral nice nocturnal noisy non-stick normal northern nostalgic notable
    nude numerous nutritious nutty obese oblong obscure ocean-blue ochre octagonal odd off-road
    official oily olive-green opaque opposite opulent orange orchestral orderly ordinary organic
    oriental original ornate orthodox outer outgoing outstanding outward overcast overgrown
    overhead overjoyed oversized overweight painful paisley pale paper-thin parallel partial
    passenger-side passionate pastel patriotic patterned peaceful peach peach-colored pebbled
    peculiar perfect permanent personal petite photogenic physical picturesque pinkish pitiful
    plain plated playful pleasant pleased pleated plentiful plump plush pointed pointy poisonous
    polar polite polka-dot polka-dotted poor popular portable possible potted powerful precious
    precise predatory prehistoric prickly primary primitive pristine private proud psychedelic
    public puffy pure quaint quick quilted quirky radiant ragged rainbow-colored random rapid rare
    raw ready ready-made real realistic rear recent reclining recreational rectangular recyclable
    reddish refreshing regal regular relaxed remote residential rested restful reusable reversible
    rigid rimmed robust rotten rotund rough rounded royalty-free rubbery ruby rude ruffled rugged
    runny rural russet sacred safe saggy salmon-colored salty same sapphire satisfied saucy savory
    scaly scarce scarlet scary scenic scientific scruffy seamed seamless seasonal seated secluded
    second-hand secondhand secret secure seedless semi-circular sepia sequined sequinned serene
    serious shabby shadowy shady shaggy sharp sheepish sheer shingled shocked short-haired shy sick
    silent silky silly similar simple sincere skilled skinless skinny sky-blue sleek sleepy
    sleeveless slender slick slight slim slimy slippery sloped sloppy slow sly smart smoky smooth
    snow-capped snowcapped snug soapy social soft soggy solemn solid solitary somber soothing sour
    southern spacious spare sparkling sparse special specific speckled spectacular speedy spherical
    spicy spiky spiny splendid spoked spooky sporty spotless spotted spotty square squishy stacked
    stale standard star-shaped stationary steamy stern sticky stiff still stony straight strange
    straw-colored streaky strenuous striking stubborn stuffy stupid sturdy suburban successful
    suitable suited sun-drenched sunburned sunken sunlit super superb supernatural surprised
    surreal suspicious sweaty sweet swift symmetrical synthetic tactile tailored talented tall tame
    tan tangy tarnished tarred tart tasseled tasteful tasty tattered tattooed taupe tawny
    taxidermied tearful technical technological tender tense terraced terrible terrified textile
    thatched theatrical thirsty thorny thoughtful threadbare thrilled tidy tight-fitting timeless
    timid tinted tipsy tired titled toasty toothless top-down topical topless torrential touristy
    toxic tranquil translucent treacherous treeless triangular tricky trim triple triumphant
    truthful tufted turbaned tweed twisty typical ugly ultramarine unattended unaware uncooked
    uneven unfinished unfurnished unhappy uniform uniformed uninhabited unique unknown unlit unmade
    unopened unpaved unripe unshaven unusual upbeat upper upright upscale upside-down useful usual
    vacant vague valuable variegated vast vaulted vegan vegetarian veiled velvety vermilion
    versatile vertical vibrant vicious victorian victorious vigorous vintage violent virtual
    visible visual vivid volcanic wacky wall-mounted warlike warm washable watchful waterproof
    watery wavy waxy weak wealthy weary weedy weird western wheeled whimsical whiskered whole
    wholesome wicked wicker wide-brimmed wild wilted windblown winding windswept winged wintry wise
    wispy witty wonderful wooded woody woolen woolly worried worse worst wrinkled wrinkly wrong
    yellowish young youthful yummy zany
    """
)
"""As they stand in texts; forms in -ed and -ing are here only where no action is meant."""

IRREGULAR_DEGREES = {
    "better": "good", "best": "good", "worse": "bad", "worst": "bad", "further": "far",
}  # fmt: skip
"""Comparatives and superlatives that no rule makes."""

SHADES = words("dark deep light pale")
"""Before one of ``COLORS``: one attribute with it."""

COLORS = words(
    """
    beige blond blue brown cyan gray green lavender maroon orange pink purple red tan teal turquoise
    violet yellow
    """
)

MATERIALS = words(
    """
    acrylic aluminium aluminum bamboo brass brick bronze canvas cardboard cement ceramic chrome
    clay concrete copper cotton crystal denim fabric felt fiberglass foam fur glass gold granite
    iron jute knit lace leather linen marble mesh metal nylon paper pine plastic plywood polyester
    porcelain rattan rubber sandstone satin silk silver slate steel stone straw suede terracotta
    tin titanium tweed velvet vinyl wicker wood wool yarn
    """
)
"""Nouns that say what a thing is made of: before another noun they are attributes."""
